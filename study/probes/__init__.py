"""What is read off a model beside its scores."""
