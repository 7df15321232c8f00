"""CEL expressions over a saga's data: what they may cost, and what they answer."""
