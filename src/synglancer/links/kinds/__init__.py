"""Special kinds of links, each in its own module; `synglancer.links.make` makes ordinary ones."""
