"""The synthetic sample: cells, synapses, imagery and meshes."""
