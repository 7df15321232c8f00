"""The gRPC door: what REST answers, over gRPC, with the same names and the same kinds of errors."""
