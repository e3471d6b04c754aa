"""What the APIs of OpenAI's form share. No dialect, and never imports one; what only one of them says belongs there."""
