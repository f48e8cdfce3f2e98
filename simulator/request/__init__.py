"""What a request may contain, from the API's page alone: fields, rules, safety, first picture."""
