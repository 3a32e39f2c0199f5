"""Neuroglancer states: their URLs, and reading any state back."""
