"""``python -m selectrl`` is the ``selectrl`` command."""

from selectrl.cli import main

if __name__ == "__main__":
    main()
