"""HTTP: the server, its handlers, files, the viewer and faults."""
