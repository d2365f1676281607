"""What people see: values to lines. Makes no decisions."""
