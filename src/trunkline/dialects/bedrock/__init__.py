"""Converse and ConverseStream of AWS Bedrock, as its servers speak them. No client speaks it."""
