"""What loghc and the recorder in a watched program share. Standard library only, Python 3.8."""
