"""What a caller may do: keys, limits, budgets. Pure decisions over frozen tables; storage belongs in `store`."""
