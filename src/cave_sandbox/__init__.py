"""An embedded CAVE: the services that a link needs, on this machine, with a synthetic cell."""
