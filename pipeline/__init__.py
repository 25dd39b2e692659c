"""Makes and sifts examples. No Django; torch only inside functions of the programs."""
