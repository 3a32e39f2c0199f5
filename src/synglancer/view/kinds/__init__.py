"""The states of special kinds of links, each in its own module."""
