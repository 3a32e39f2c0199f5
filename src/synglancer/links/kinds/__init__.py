"""Kinds of links beside the ordinary one of `synglancer.links.make`: a module for each."""
