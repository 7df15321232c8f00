"""What a plan is put together of: what each step is, where values come from, which locks and undos steps have."""
