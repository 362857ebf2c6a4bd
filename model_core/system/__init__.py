"""What the machine has: devices and their memory."""
