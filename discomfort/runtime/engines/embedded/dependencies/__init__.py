"""What results depend on beside the inputs of their nodes: files, code, answers of classes."""
