"""Who is who in a cluster: names in certificates, the authority that signs them, key files, invitations."""
