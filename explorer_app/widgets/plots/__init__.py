"""Numbers over positions, layers or steps: lines, curves, histograms, dials."""
