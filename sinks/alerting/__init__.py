"""The alert sinks: send alerts and problems to Alertmanager and to webhooks."""
