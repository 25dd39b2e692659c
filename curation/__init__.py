"""The web product: people, projects, rounds and reviews."""
