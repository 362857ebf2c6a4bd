"""What panels and forms are made of. The only wrappers of pyqtgraph: arrays in, clicks out."""
