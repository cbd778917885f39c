"""What people and programs are shown: how things stand, what comes, what it cost."""
