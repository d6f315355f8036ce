"""Networks in settings."""

from ipaddress import IPv4Network, IPv6Network, ip_network


def networks_of(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of a list in CIDR notation, separated by commas; raises ValueError."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def networks(text: str) -> str:
    """Return such a list unchanged, to validate a setting; raises ValueError."""
    networks_of(text)
    return text
