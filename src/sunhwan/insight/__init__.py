"""What a recurrent network does: gradients through time, memory, gates, influence."""
