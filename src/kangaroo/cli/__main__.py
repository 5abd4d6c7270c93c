"""`python -m kangaroo.cli`: torchrun starts modules."""

from kangaroo.cli import main

main()
