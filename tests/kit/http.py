"""HTTP requests of tests, with the patience that a busy machine needs: urllib3's own is 3 seconds."""

import urllib3

http_request = urllib3.PoolManager(timeout=30.0).request
