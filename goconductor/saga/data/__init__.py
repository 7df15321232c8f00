"""The data of a saga: values as JSON has them, references into them, and the schemas that describe them."""
