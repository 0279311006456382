"""What results depend on besides the inputs of their nodes: files, code, answers of classes."""
