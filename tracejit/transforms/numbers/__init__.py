"""What whole numbers can be, and what need not be asked then: the parts of `ranges`."""
