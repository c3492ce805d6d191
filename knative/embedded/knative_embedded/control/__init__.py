"""From desired to observed: child objects, conditions, and the loop that writes them."""
