"""What the files of a checkpoint are called."""

WEIGHTS_FILE = "model.safetensors"
STATE_FILE = "state.pt"
