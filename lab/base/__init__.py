"""What the rest of the lab stands on: the company, errors, priorities, clocks."""
