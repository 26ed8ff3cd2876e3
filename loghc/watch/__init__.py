"""``loghc run``: watches a program from outside."""
