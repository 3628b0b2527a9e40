"""Foreign weights -> RefAdGen: Stable Diffusion with IP-Adapter-Plus, and the authors' release."""
