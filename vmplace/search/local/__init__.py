"""Local search: slots made by few migrations, ejection chains."""
