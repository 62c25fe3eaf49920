"""What surrounds a training: its processes, its folder, what it survives, where it is tracked; sweeps."""
