"""Support for the Python API: options as keywords, errors in terms of Python, lists of links."""
