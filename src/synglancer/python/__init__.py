"""What Python users meet: the options as keywords, errors in Python's words, lists of links."""
