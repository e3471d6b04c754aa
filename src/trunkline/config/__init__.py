"""What a person may write, checked whole and compiled into a frozen snapshot."""
