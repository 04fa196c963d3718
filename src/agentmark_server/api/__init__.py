"""The REST API: one file per resource, its shapes, its errors."""
