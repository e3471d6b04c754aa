"""What Google's APIs share. No dialect, and never imports one; what only one of them says belongs there."""
