"""What runs inside a watched program: the recorder. Standard library only, no import of loghc."""
