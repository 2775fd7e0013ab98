"""Base classes for what a builder, an installer and a manager of Windlass can be extended with."""
