"""From tables of synapses to a Neuroglancer state."""
