"""From alerts and problems to Alertmanager and to webhooks."""
