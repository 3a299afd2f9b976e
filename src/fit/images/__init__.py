"""Pictures: the table that holds them, how they are decoded, collected and verified."""
