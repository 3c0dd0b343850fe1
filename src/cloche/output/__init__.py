"""What leaves the house when a machine is finished: kinds of output, and what is known of them."""
