"""What leaves the house: stage4 tarballs and the machine's package directory."""
