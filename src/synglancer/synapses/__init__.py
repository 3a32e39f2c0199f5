"""Tables of synapses: predictions, partners, shared spines and cell types."""
